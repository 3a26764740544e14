#!/usr/bin/env bash
# A Docker engine for this machine: nothing where one answers, else Debian's, installed and started as root without
# systemd. Used by `make setup-docker`; the argument is a Python that has assay, to ask whether an engine answers.
set -euo pipefail
python="${1:-python3}"
log=/var/log/assay-dockerd.log

answers() {
  if command -v docker >/dev/null; then
    docker info >/dev/null 2>&1 && return
  fi
  "$python" -c 'from assay.sandbox.docker import connect; connect(timeout_s=5)' >/dev/null 2>&1
}

if answers; then
  echo "setup-docker: an engine answers; nothing to do"
  exit 0
fi
if [ -n "${DOCKER_HOST:-}" ]; then
  echo "setup-docker: no engine answers at DOCKER_HOST=$DOCKER_HOST: start that one, or unset DOCKER_HOST" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  cat >&2 <<'END'
setup-docker: no Docker engine answers, and only root on a Debian-like system can have one installed here. Either
  - install Docker (https://docs.docker.com/engine/install/) and start it,
  - join its group, if one runs but refuses you: sudo usermod -aG docker "$USER", then log in again, or
  - name an engine elsewhere: export DOCKER_HOST=unix:///run/user/1000/docker.sock (rootless, Podman) or ssh://host
END
  exit 1
fi

missing=()
command -v dockerd >/dev/null || missing+=(docker.io)
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
if [ "${#missing[@]}" -gt 0 ]; then
  echo "setup-docker: installing ${missing[*]}"
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y "${missing[@]}"
fi

# The package may have started it (systemd); else a pid file that no dockerd stands behind would stop a new one.
for _ in 1 2 3; do answers && break || sleep 1; done
if ! answers && ! pidof dockerd >/dev/null; then
  rm -f /var/run/docker.pid
  echo "setup-docker: starting dockerd, log in $log"
  setsid nohup dockerd >>"$log" 2>&1 </dev/null &
fi
for _ in $(seq 60); do
  if answers; then
    echo "setup-docker: the engine answers"
    exit 0
  fi
  sleep 1
done
echo "setup-docker: dockerd does not answer after 60 s; the end of $log:" >&2
tail -n 15 "$log" >&2 || true
exit 1
