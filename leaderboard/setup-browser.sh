#!/usr/bin/env bash
# Chromium and PostgreSQL for the tests of the site: Debian's packages, where root may install them; else says what to do.
set -euo pipefail
missing=()
command -v "${ASSAY_CHROMIUM:-chromium}" >/dev/null || missing+=(chromium)
command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup-browser: Chromium and PostgreSQL are here"
elif [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  echo "setup-browser: installed ${missing[*]}"
else
  echo "setup-browser: install ${missing[*]} with your package manager (Debian: apt-get install ${missing[*]})" >&2
  exit 1
fi
