"""Programs that reach for the machine, the judge or the next program. Longer than 400 lines: it is one table."""

from __future__ import annotations

from assay.sandbox.hostile import BURST, DIED, HUNG, REPORTED, Attack
from assay.sandbox.types import Ended

MACHINE_ENTRY_POINT = "entry"

_TOOLS = """
import importlib, ctypes, errno, io, signal, socket, stat, struct, sys, time
import os
importlib.reload(os)  # some judges take functions out of os; this gives them back
sys.modules.pop("resource", None)
LIBC = ctypes.CDLL(None, use_errno=True)
def did(action, *args):
    try:
        return action(*args) is not False
    except BaseException:
        return False
def text(path, size=1 << 20):
    with io.open(path, "rb", 0) as file:
        return file.read(size).decode("latin-1")
def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
def others():
    return [pid for pid in pids() if pid != os.getpid()]
def uid_of(pid):
    return int(text("/proc/%d/status" % pid).split("Uid:")[1].split()[1])
"""
_FILL = """
def fill(folder, limit):
    block, size = os.urandom(1 << 20), 0
    with io.open(folder + "/filled", "wb", 0) as file:
        while size < limit:
            try:
                size += file.write(block)
            except OSError:
                return False
    return True
"""
_DAEMON = """
def daemon(action):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 65):
                did(signal.signal, number, signal.SIG_IGN)
            try:
                action()
            finally:
                os._exit(0)
        os._exit(0)
    os.wait()
    time.sleep(0.1)
"""

_Row = tuple[str, str, frozenset[Ended], frozenset[str], str]
_NONE: frozenset[str] = frozenset()

_NETWORK: tuple[_Row, ...] = (
    (
        "ipv4",
        "no IPv4 address answers, not even to refuse",
        REPORTED,
        _NONE,
        """
def entry():
    where = [("1.1.1.1", 53), ("8.8.8.8", 443), ("169.254.169.254", 80), ("10.0.0.1", 80), ("192.168.1.1", 80)]
    where += [("172.17.0.1", port) for port in (22, 80, 2375, 2376)] + [("172.18.0.1", 80), ("255.255.255.255", 9)]
    reached = {}
    for address in where:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as to:
            to.settimeout(0.5)
            try:
                reached["%s:%d" % address] = to.connect_ex(address) in (0, errno.ECONNREFUSED, errno.ECONNRESET)
            except OSError:
                pass
    return reached
""",
    ),
    (
        "ipv6",
        "no IPv6 address answers, not even to refuse",
        REPORTED,
        _NONE,
        """
def entry():
    reached = {}
    for host in ("2606:4700:4700::1111", "2001:4860:4860::8888", "fd00::1", "fe80::1", "ff02::1"):
        for scope in (0, 1, 2):
            try:
                with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as to:
                    to.settimeout(0.5)
                    reached[host + "%" + str(scope)] = to.connect_ex((host, 53, 0, scope)) in (0, errno.ECONNREFUSED)
            except OSError:
                pass
    return reached
""",
    ),
    (
        "udp",
        "no datagram leaves",
        REPORTED,
        _NONE,
        """
def entry():
    query = bytes.fromhex("abcd01000001000000000000076578616d706c6503636f6d0000010001")
    report = {}
    for host in ("1.1.1.1", "8.8.8.8", "172.17.0.1", "127.0.0.11", "169.254.169.253"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
            to.settimeout(0.5)
            report["answer from " + host] = did(lambda: to.sendto(query, (host, 53)) and bool(to.recv(512)))
            if not host.startswith("127."):
                report["sent to " + host] = did(to.sendto, query, (host, 53))
    return report
""",
    ),
    (
        "dns",
        "no name of the outside world has an address",
        REPORTED,
        _NONE,
        """
def entry():
    names = ("example.com", "pypi.org", "host.docker.internal", "gateway.docker.internal", "metadata.google.internal")
    return {name: did(socket.getaddrinfo, name, 80) for name in names}
""",
    ),
    (
        "raw-sockets",
        "no raw, packet or vsock socket can be made; the last leads to the hypervisor, whatever the network",
        REPORTED,
        _NONE,
        """
def entry():
    return {
        "raw": did(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()),
        "packet": did(lambda: socket.socket(17, socket.SOCK_RAW, 0x300).close()),
        "vsock": did(lambda: socket.socket(40, socket.SOCK_STREAM).close()),
    }
""",
    ),
    (
        "interfaces",
        "there is no interface but the loopback",
        REPORTED,
        _NONE,
        """
def entry():
    fallback = ("lo", "tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0")
    return {name: True for _, name in socket.if_nameindex() if name not in fallback}
""",
    ),
    (
        "loopback-services",
        "nobody listens on the loopback, neither a judge nor an earlier program",
        REPORTED,
        _NONE,
        """
def entry():
    reached = {}
    for path, family, host in (("tcp", socket.AF_INET, "127.0.0.1"), ("tcp6", socket.AF_INET6, "::1")):
        try:
            lines = text("/proc/net/" + path).splitlines()[1:]
        except OSError:
            continue
        for fields in (line.split() for line in lines):
            if fields[3] == "0A":
                port = int(fields[1].split(":")[1], 16)
                with socket.socket(family) as to:
                    to.settimeout(1)
                    reached["%s %d" % (path, port)] = to.connect_ex((host, port)) == 0
    return reached
""",
    ),
    (
        "unix-sockets",
        "no unix socket outside the program's own tree answers, abstract or in a file",
        REPORTED,
        _NONE,
        """
def entry():
    names = set(line.split(None, 7)[7] for line in text("/proc/net/unix").splitlines()[1:] if len(line.split(None, 7)) > 7)
    names |= {"@/tmp/.X11-unix/X0", "@/containerd-shim/default", "@/org/freedesktop/systemd1/notify"}
    reached = {}
    for name in names:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
            with socket.socket(socket.AF_UNIX, kind) as to:
                to.settimeout(0.5)
                address = "\\0" + name[1:] if name.startswith("@") else name
                reached[name] = reached.get(name) or did(to.connect, address)
    return reached
""",
    ),
    (
        "engine-socket",
        "the container engine's socket is not there",
        REPORTED,
        _NONE,
        """
def entry():
    import glob
    places = ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock"]
    places += ["/var/run/crio/crio.sock", "/run/buildkit/buildkitd.sock", "/run/systemd/private", "/run/dbus/system_bus_socket"]
    places += glob.glob("/run/user/*/*.sock") + glob.glob("/run/user/*/podman/*") + glob.glob("/**/docker*.sock")
    return {path: True for path in places if os.path.lexists(path)}
""",
    ),
)

_FILES: tuple[_Row, ...] = (
    (
        "writes-outside",
        "no file can be made outside the program's own three directories",
        REPORTED,
        _NONE,
        """
def entry():
    own = tuple(os.path.realpath(path) for path in ("/work", "/tmp", "/dev/shm"))
    folders = ["/", "/etc", "/usr", "/usr/lib", "/usr/local", "/usr/local/lib", "/bin", "/sbin", "/lib", "/root", "/home"]
    folders += ["/opt", "/var", "/var/tmp", "/var/log", "/var/lib", "/var/cache", "/var/run", "/run", "/run/lock", "/dev"]
    folders += ["/dev/pts", "/dev/mqueue", "/mnt", "/media", "/srv", "/boot", "/sys", "/sys/fs", "/sys/fs/cgroup", "/proc"]
    folders += ["/proc/sys/kernel", "/sys/kernel", "/sys/kernel/debug", "/data", "/workspace", "/app", os.path.expanduser("~")]
    folders += [path for path in sys.path if path] + [os.path.dirname(os.__file__), os.path.dirname(sys.executable)]
    report = {}
    for folder in folders:
        folder = os.path.realpath(folder)
        if folder.startswith(own):
            continue
        path = os.path.join(folder, "hostile")
        if did(lambda: os.close(os.open(path, os.O_CREAT | os.O_WRONLY))):
            report[folder] = True
            did(os.unlink, path)
    return report
""",
    ),
    (
        "writable-directories",
        "no directory in the whole tree is writable but the program's own three",
        REPORTED | HUNG,
        _NONE,
        """
def entry():
    report = {}
    for folder, names, _ in os.walk("/"):
        if folder in ("/proc", "/sys", "/work", "/tmp", "/dev/shm"):
            names[:] = []
        elif os.access(folder, os.W_OK):
            report[folder] = True
        if len(report) > 50:
            break
    return report
""",
    ),
    (
        "writable-files",
        "no file of the system, of /proc or of /sys opens for writing",
        REPORTED | HUNG,
        frozenset({"/proc/1/attr/current"}),
        """
def entry():
    paths = ["/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/ld.so.preload", "/.dockerenv"]
    paths += ["/proc/sysrq-trigger", "/proc/1/oom_score_adj", "/proc/1/mem", "/proc/1/attr/current", os.__file__, sys.executable]
    for top in ("/proc/sys", "/sys/fs/cgroup", "/sys/kernel/mm", "/sys/module", "/sys/power", "/etc"):
        for folder, _, names in os.walk(top):
            paths += [os.path.join(folder, name) for name in names]
    return {path: True for path in paths[:50000] if did(lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)))}
""",
    ),
    (
        "devices",
        "no device opens but those every container has",
        REPORTED,
        _NONE,
        """
def entry():
    usual = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "stdin", "stdout", "stderr", "fd", "pts", "core")
    report = {}
    for folder, _, names in os.walk("/dev"):
        for name in names:
            path = os.path.join(folder, name)
            if folder == "/dev" and name not in usual and stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFBLK, stat.S_IFCHR):
                report[path] = did(lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)))
    return report
""",
    ),
    (
        "kernel-files",
        "the kernel's memory and log, and the machine's firmware, are not to be read",
        REPORTED,
        _NONE,
        """
def entry():
    paths = ("/proc/kcore", "/proc/kmsg", "/dev/kmsg", "/dev/mem", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats")
    report = {path: did(lambda: bool(text(path, 4096))) for path in paths}
    report["/sys/firmware"] = did(lambda: bool(os.listdir("/sys/firmware")))
    report["log by system call"] = LIBC.klogctl(3, ctypes.create_string_buffer(4096), 4096) > 0
    return report
""",
    ),
    (
        "host-mounts",
        "nothing of the host's files is mounted but the engine's three small ones",
        REPORTED,
        _NONE,
        """
def entry():
    usual = ("/", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/sbin/docker-init", "/dev/init")
    usual += ("/usr/sbin/docker-init", "/run/.containerenv")
    report = {}
    for line in text("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] in ("ext4", "xfs", "btrfs", "zfs", "9p", "virtiofs", "nfs", "nfs4", "fuse"):
            report[before.split()[4]] = before.split()[4] not in usual
    return report
""",
    ),
    (
        "credentials",
        "no credential travels in, by environment or by file",
        REPORTED,
        _NONE,
        """
def entry():
    import re
    found = {}
    for pid in ["self"] + [str(pid) for pid in pids()]:
        try:
            names = [pair.split("=")[0] for pair in text("/proc/%s/environ" % pid).split("\\0")]
        except OSError:
            continue
        for name in names:
            if re.search("TOKEN|SECRET|PASSW|API_?KEY|CREDENTIAL|_PROXY|DOCKER_HOST|SSH_AUTH", name.upper()):
                found[name] = True
    for home in ("/root", "/home", os.path.expanduser("~")):
        for place in (".ssh", ".netrc", ".aws", ".docker", ".kube", ".cache/huggingface/token", ".config/gcloud"):
            found[home + "/" + place] = os.path.lexists(os.path.join(home, place))
    return found
""",
    ),
    (
        "hard-links",
        "no link to another user's file, and no set-uid file of another's",
        REPORTED,
        _NONE,
        """
def entry():
    paths = ("/etc/passwd", "/bin/sh", "/proc/1/exe", "/proc/%d/exe" % os.getppid())
    report = {path: did(os.link, path, "/tmp/linked%d" % i) for i, path in enumerate(paths)}
    report["chown"] = did(lambda: io.open("/tmp/given", "w").close() or os.chown("/tmp/given", 0, 0))
    return report
""",
    ),
)

_LIMITS: tuple[_Row, ...] = (
    (
        "fork-bomb",
        "processes that double until they can't are stopped, and their number is bounded",
        BURST,
        _NONE,
        """
def entry():
    end = time.time() + 20
    while time.time() < end:
        try:
            os.fork()
        except OSError:
            pass
    os._exit(0)
""",
    ),
    (
        "many-processes",
        "fewer than 2,000 processes can be had",
        BURST,
        _NONE,
        """
def entry():
    for made in range(2000):
        try:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
        except OSError:
            return {"2,000 processes": False}
    return {"2,000 processes": True}
""",
    ),
    (
        "many-threads",
        "fewer than 4,000 threads can be had",
        BURST,
        _NONE,
        """
import threading
def entry():
    threading.stack_size(65536)
    for made in range(4000):
        try:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        except RuntimeError:
            return {"4,000 threads": False}
    return {"4,000 threads": True}
""",
    ),
    (
        "memory-bomb",
        "memory ends before 16 GiB",
        BURST,
        _NONE,
        """
def entry():
    held = []
    for _ in range(256):
        held.append(bytearray(b"x") * (1 << 26))
    return {"16 GiB": True}
""",
    ),
    (
        "memory-bomb-in-many",
        "memory of many processes together ends before 16 GiB, and the cell or its successor goes on",
        BURST,
        _NONE,
        """
def entry():
    for _ in range(64):
        if os.fork() == 0:
            held = bytearray(b"x") * (1 << 28)
            time.sleep(20)
            os._exit(0)
    good = 0
    for _ in range(64):
        good += os.wait()[1] == 0
    return {"16 GiB": good == 64}
""",
    ),
    (
        "memory-by-memfd",
        "anonymous files count as memory",
        BURST,
        _NONE,
        """
def entry():
    fd, block = os.memfd_create("bomb"), bytes(1 << 20)
    for _ in range(16 * 1024):
        os.write(fd, block)
    return {"16 GiB": True}
""",
    ),
    (
        "memory-by-pipes",
        "buffers of pipes and sockets end before 4 GiB",
        BURST,
        _NONE,
        """
def entry():
    held, size = [], 0
    while size < 4 << 30:
        try:
            pair = socket.socketpair()
            pair[0].setblocking(False)
            held.append(pair)
            while True:
                size += pair[0].send(bytes(1 << 16))
        except BlockingIOError:
            pass
        except OSError:
            return {"4 GiB": False}
    return {"4 GiB": True}
""",
    ),
    (
        "disk-fill-work",
        "the working directory ends before 8 GiB",
        BURST,
        _NONE,
        """
def entry():
    return {'8 GiB': fill('/work', 8 << 30)}
""",
    ),
    (
        "disk-fill-tmp",
        "the temporary directory ends before 8 GiB",
        BURST,
        _NONE,
        """
def entry():
    return {'8 GiB': fill('/tmp', 8 << 30)}
""",
    ),
    (
        "shared-memory-fill",
        "shared memory ends before 8 GiB",
        BURST,
        _NONE,
        """
def entry():
    return {'8 GiB': fill('/dev/shm', 8 << 30)}
""",
    ),
    (
        "inode-fill",
        "no directory takes two million files",
        BURST,
        _NONE,
        """
def entry():
    report, end = {}, time.time() + 8
    for folder in ("/work", "/tmp", "/dev/shm"):
        made = 0
        try:
            while made < 2000000 and time.time() < end:
                os.close(os.open("%s/%d" % (folder, made), os.O_CREAT | os.O_WRONLY))
                made += 1
        except OSError:
            pass
        report["two million files in " + folder] = made >= 2000000
    return report
""",
    ),
    (
        "output-flood",
        "a gigabyte on standard output and error does not reach the judge",
        BURST,
        _NONE,
        """
def entry():
    block = b"PASSED\\n" * 10000
    for _ in range((1 << 30) // len(block)):
        os.write(1, block)
        os.write(2, block)
    return {}
""",
    ),
    (
        "result-flood",
        "a gigabyte on every other descriptor ends at the output limit",
        BURST,
        _NONE,
        """
def entry():
    for fd in range(3, 64):
        did(flood, fd)
    os._exit(0)
def flood(fd):
    block = b"=0 0\\n" * 13000
    for _ in range((1 << 30) // len(block)):
        os.write(fd, block)
""",
    ),
    (
        "result-without-newline",
        "a line without an end ends at the output limit",
        BURST,
        _NONE,
        """
def entry():
    for fd in range(3, 64):
        did(lambda: [os.write(fd, b"[" * 65536) for _ in range(16384)])
    os._exit(0)
""",
    ),
    (
        "reads-stdin",
        "standard input is empty, and reading it does not hang",
        REPORTED,
        _NONE,
        """
def entry():
    return {'read': bool(os.read(0, 1 << 16))}
""",
    ),
    (
        "stops-itself",
        "a program that stops itself meets the wall clock",
        HUNG,
        _NONE,
        """
def entry():
    os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        time.sleep(1)
""",
    ),
    (
        "raises-limits",
        "no hard limit can be raised",
        REPORTED,
        _NONE,
        """
def entry():
    import resource
    report = {}
    for name in [name for name in dir(resource) if name.startswith("RLIMIT_")]:
        number = getattr(resource, name)
        soft, hard = resource.getrlimit(number)
        if hard != resource.RLIM_INFINITY:
            report[name] = did(resource.setrlimit, number, (soft, resource.RLIM_INFINITY))
    return report
""",
    ),
    (
        "raises-priority",
        "priority only falls",
        REPORTED,
        _NONE,
        """
def entry():
    now = os.nice(0)
    return {
        "nice": did(os.nice, -5) and os.nice(0) < now,
        "real time": did(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
        "out-of-memory score": did(lambda: io.open("/proc/self/oom_score_adj", "w").write("-1000")) and "-1000" in text("/proc/self/oom_score_adj"),
    }
""",
    ),
    (
        "core-dump",
        "a crash with the core limit raised leaves no file",
        DIED,
        _NONE,
        """
def entry():
    import resource
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    os.chdir("/work")
    os.abort()
""",
    ),
)

_PROCESSES: tuple[_Row, ...] = (
    (
        "kills-everyone",
        "kill -9 -1 ends no one but the program",
        DIED | REPORTED,
        _NONE,
        """
def entry():
    os.kill(-1, 9)
    return {}
""",
    ),
    (
        "kills-every-pid",
        "no other process takes a signal",
        REPORTED,
        _NONE,
        """
def entry():
    report = {str(pid): did(os.kill, pid, 0) for pid in others()}
    for pid in sorted(others(), reverse=True):
        did(os.kill, pid, 9)
    return report
""",
    ),
    (
        "kills-its-parent",
        "the parent takes no signal",
        REPORTED,
        _NONE,
        """
def entry():
    return {'killed': did(os.kill, os.getppid(), 9)}
""",
    ),
    (
        "stops-the-others",
        "no other process can be stopped",
        REPORTED,
        _NONE,
        """
def entry():
    return {str(pid): did(os.kill, pid, signal.SIGSTOP) for pid in others() if pid != 1}
""",
    ),
    (
        "traces-others",
        "no other process can be traced, nor its memory read by system call",
        REPORTED,
        _NONE,
        """
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
def entry():
    report = {}
    LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    here = ctypes.create_string_buffer(8)
    for pid in others():
        report["seize %d" % pid] = LIBC.ptrace(0x4206, pid, None, None) == 0
        report["attach %d" % pid] = LIBC.ptrace(16, pid, None, None) == 0
        if report["attach %d" % pid]:
            time.sleep(0.05)
            LIBC.ptrace(17, pid, None, None)
        mine, theirs = Vector(ctypes.addressof(here), 8), Vector(id(int), 8)
        report["read %d" % pid] = LIBC.process_vm_readv(pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0) > 0
    return report
""",
    ),
    (
        "reads-others-in-proc",
        "no other process's memory, descriptors or environment is to be read",
        REPORTED,
        _NONE,
        """
def entry():
    report = {}
    for pid in others():
        base = "/proc/%d/" % pid
        report[base + "mem"] = did(lambda: os.close(os.open(base + "mem", os.O_RDONLY)))
        report[base + "fd"] = did(lambda: bool(os.listdir(base + "fd")))
        report[base + "environ"] = did(lambda: bool(text(base + "environ")))
        report[base + "root"] = did(lambda: bool(os.listdir(base + "root/proc")))
        report[base + "maps"] = did(lambda: bool(text(base + "maps")))
    return report
""",
    ),
    (
        "takes-descriptors",
        "no other process's descriptor can be taken by pidfd_getfd",
        REPORTED,
        _NONE,
        """
def entry():
    report = {}
    for pid in others():
        handle = LIBC.syscall(434, pid, 0)
        report[str(pid)] = handle >= 0 and any(LIBC.syscall(438, handle, fd, 0) >= 0 for fd in range(8))
    return report
""",
    ),
    (
        "sees-the-host",
        "the host's processes are not visible",
        REPORTED,
        _NONE,
        """
def entry():
    names = {pid: text("/proc/%d/comm" % pid).strip() for pid in pids()}
    return {name: name in ("kthreadd", "systemd", "dockerd", "containerd", "ksoftirqd/0", "sshd") for name in names.values()}
""",
    ),
    (
        "becomes-another",
        "no other user or group can be had, and no capability",
        REPORTED,
        _NONE,
        """
def entry():
    lines = dict(line.split(":", 1) for line in text("/proc/self/status").splitlines() if ":" in line)
    report = {name: int(lines.get(name, "0"), 16) != 0 for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    report["may gain privileges"] = lines.get("NoNewPrivs", "0").strip() != "1"
    report["groups"] = bool(lines.get("Groups", "").split()) and "0" in lines["Groups"].split()
    report["is root"] = os.getuid() == 0 or os.getgid() == 0
    for call, number in ((os.setuid, 0), (os.setgid, 0), (os.setuid, os.getuid() - 1), (os.setuid, os.getuid() + 1)):
        report["%s %d" % (call.__name__, number)] = did(call, number)
    report["setgroups"] = did(os.setgroups, [0])
    return report
""",
    ),
    (
        "privileged-calls",
        "no mount, namespace, device, key, trace or module call succeeds",
        REPORTED,
        frozenset({"io_uring_setup"}),
        """
def entry():
    report = {
        "mount": LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0,
        "bind mount": LIBC.mount(b"/", b"/tmp", None, 4096, None) == 0,
        "umount": LIBC.umount2(b"/proc", 2) == 0,
        "chroot": did(os.chroot, "/tmp"),
        "sethostname": LIBC.sethostname(b"hostile", 7) == 0,
        "settimeofday": LIBC.settimeofday(struct.pack("qq", 0, 0), None) == 0,
        "swapon": LIBC.swapon(b"/tmp/none", 0) == 0 or ctypes.get_errno() not in (1, 38),
        "acct": LIBC.acct(b"/tmp/none") == 0,
        "mknod block": did(os.mknod, "/tmp/block", 0o600 | stat.S_IFBLK, os.makedev(8, 0)),
        "mknod char": did(os.mknod, "/tmp/char", 0o600 | stat.S_IFCHR, os.makedev(1, 1)),
    }
    for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000), ("pid", 0x20000000), ("ipc", 0x8000000)):
        report["unshare " + name] = apart(lambda: LIBC.unshare(flag) == 0)
    for kind in ("net", "mnt", "pid", "ipc", "user"):
        report["setns " + kind] = apart(lambda: LIBC.setns(os.open("/proc/1/ns/" + kind, os.O_RDONLY), 0) == 0)
    x86 = {"keyctl": (250, 0, -3, 1), "add_key": (248, b"user", b"hostile", b"x", 1, -3), "bpf": (321, 0, bytes(64), 64),
           "perf_event_open": (298, struct.pack("IIQ", 1, 112, 0) + bytes(96), 0, -1, -1, 0), "userfaultfd": (323, 0),
           "init_module": (175, b"", 0, b""), "kexec_load": (246, 0, 0, 0, 0), "iopl": (172, 3), "pivot_root": (155, b"/tmp", b"/tmp"),
           "open_by_handle_at": (304, 0, bytes(64), 0), "io_uring_setup": (425, 2, ctypes.create_string_buffer(256)), "mbind": (237, 0, 0, 0, 0, 0, 0)}
    if os.uname().machine == "x86_64":
        x86.pop("mbind")
        for name, (number, *args) in x86.items():
            report[name] = apart(lambda: LIBC.syscall(number, *args) >= 0)
    return report
def apart(action):
    pid = os.fork()
    if pid == 0:
        os._exit(42 if did(action) else 0)
    return os.waitpid(pid, 0)[1] >> 8 == 42
""",
    ),
    (
        "terminal-tricks",
        "no keystroke can be pushed into a terminal",
        REPORTED,
        _NONE,
        """
def entry():
    import fcntl
    report = {}
    for path in ["/dev/tty", "/dev/console", "/dev/pts/0", "/dev/pts/1", "/proc/1/fd/0", "/proc/%d/fd/0" % os.getppid()]:
        report[path] = did(lambda: fcntl.ioctl(os.open(path, os.O_RDWR | os.O_NOCTTY), 0x5412, b"x"))
    for fd in range(3):
        report[str(fd)] = did(fcntl.ioctl, fd, 0x5412, b"x")
    return report
""",
    ),
)

_LEFT: tuple[_Row, ...] = (
    (
        "daemon-left",
        "a double-forked daemon that ignores signals does not outlive its program",
        BURST,
        _NONE,
        """
def entry():
    daemon(lambda: time.sleep(120))
    return {}
""",
    ),
    (
        "daemon-that-writes",
        "a daemon writes nothing where the next program looks",
        BURST,
        _NONE,
        """
def entry():
    def write():
        for i in range(600):
            did(lambda: io.open("/work/from the grave %d" % i, "w").close())
            time.sleep(0.1)
    daemon(write)
    return {}
""",
    ),
    (
        "daemon-that-flees",
        "a daemon that is a new process every millisecond is caught",
        BURST,
        _NONE,
        """
def entry():
    def flee():
        end = time.time() + 60
        while time.time() < end:
            if os.fork():
                os._exit(0)
            time.sleep(0.001)
    daemon(flee)
    return {}
""",
    ),
    (
        "daemon-that-listens",
        "a daemon's sockets are gone with it",
        BURST,
        _NONE,
        """
def entry():
    def listen():
        one, two = socket.socket(), socket.socket(socket.AF_UNIX)
        one.bind(("127.0.0.1", 0)), two.bind("\\0left behind"), one.listen(), two.listen()
        time.sleep(120)
    daemon(listen)
    return {}
""",
    ),
    (
        "deleted-file-held",
        "a deleted file of 100 MB, held open by a daemon, gives its memory back",
        BURST,
        _NONE,
        """
def entry():
    def hold():
        fd = os.open("/tmp/big", os.O_CREAT | os.O_RDWR)
        os.unlink("/tmp/big")
        did(lambda: [os.write(fd, bytes(1 << 20)) for _ in range(100)])
        time.sleep(120)
    daemon(hold)
    time.sleep(0.3)
    return {}
""",
    ),
    (
        "zombies-left",
        "a hundred dead children nobody waits for are gone",
        BURST,
        _NONE,
        """
def entry():
    for _ in range(100):
        if did(os.fork) is False:
            break
        if os.getppid() == first:
            os._exit(0)
    return {}
first = os.getpid()
""",
    ),
    (
        "system-v-left",
        "shared memory, semaphores and messages of System V are gone",
        REPORTED,
        frozenset({"shm", "sem", "msg"}),
        """
def entry():
    shm = LIBC.shmget(0x1EF7, 1 << 24, 0o1666)
    LIBC.shmat.restype = ctypes.c_void_p
    if shm >= 0:
        ctypes.memset(LIBC.shmat(shm, None, 0), 1, 1 << 24)
    return {"shm": shm >= 0, "sem": LIBC.semget(0x1EF7, 100, 0o1666) >= 0, "msg": LIBC.msgget(0x1EF7, 0o1666) >= 0}
""",
    ),
    (
        "message-queue-left",
        "POSIX message queues are gone",
        REPORTED,
        frozenset({"made"}),
        """
def entry():
    library = LIBC if hasattr(LIBC, "mq_open") else ctypes.CDLL("librt.so.1")
    return {"made": library.mq_open(b"/left", os.O_CREAT | os.O_RDWR, 0o666, None) >= 0}
""",
    ),
    (
        "posix-shared-memory-left",
        "named semaphores and shared memory are gone",
        REPORTED,
        _NONE,
        """
def entry():
    for name in ("sem.left", "left", ".hidden"):
        with io.open("/dev/shm/" + name, "w") as file:
            file.write("left")
    return {}
""",
    ),
    (
        "files-left",
        "files of every kind are gone: plain, hidden, sparse, FIFO, socket, set-uid, symbolic link",
        REPORTED,
        _NONE,
        """
def entry():
    import shutil
    for folder in ("/work", "/tmp", "/dev/shm"):
        os.chdir(folder)
        io.open(".hidden", "w").close()
        with io.open("sparse", "w") as file:
            did(file.truncate, 1 << 40)
        did(os.mkfifo, "fifo")
        socket.socket(socket.AF_UNIX).bind("socket")
        shutil.copy("/bin/sh", "sh")
        os.chmod("sh", 0o6755)
        for name, to in (("to root", "/"), ("to etc", "/etc/passwd"), ("loop", "loop"), ("nowhere", "/nowhere"), ("up", "..")):
            os.symlink(to, name)
    return {}
""",
    ),
    (
        "locked-tree-left",
        "directories without permissions are gone, and no flag keeps them",
        REPORTED,
        _NONE,
        """
def entry():
    import fcntl
    report = {}
    for folder in ("/work", "/tmp", "/dev/shm"):
        os.makedirs(folder + "/a/b/c")
        for name in ("/a/b/c/file", "/a/b/file", "/a/file"):
            io.open(folder + name, "w").close()
            os.chmod(folder + name, 0)
        fd = os.open(folder + "/a", os.O_RDONLY)
        for flag, name in ((0x10, "immutable"), (0x20, "append-only")):
            report[name + " " + folder] = did(fcntl.ioctl, fd, 0x40086602, struct.pack("l", flag))
        for name in ("/a/b/c", "/a/b", "/a"):
            os.chmod(folder + name, 0)
    return report
""",
    ),
    (
        "odd-names-left",
        "files are gone whatever they are called",
        REPORTED,
        _NONE,
        """
def entry():
    names = [b"-rf", b"--", b"*", b"a\\nb", b"\\xff\\xfe", b" ", b"...", b"$(reboot)", b"\\x1b[2J", b"x" * 255, b"\\\\", b"~root"]
    for folder in (b"/work/", b"/tmp/", b"/dev/shm/"):
        for name in names:
            os.mkdir(folder + name)
            os.close(os.open(folder + name + b"/" + name, os.O_CREAT | os.O_WRONLY))
    return {}
""",
    ),
    (
        "deep-tree-left",
        "a tree 5,000 directories deep is gone",
        REPORTED,
        _NONE,
        """
def entry():
    for folder in ("/work", "/tmp"):
        os.chdir(folder)
        for _ in range(5000):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
        io.open("bottom", "w").close()
    os.chdir("/work")
    return {}
""",
    ),
    (
        "many-files-left",
        "30,000 files are gone",
        REPORTED | HUNG,
        _NONE,
        """
def entry():
    os.mkdir("/work/many")
    did(lambda: [os.close(os.open("/work/many/%d" % i, os.O_CREAT | os.O_WRONLY)) for i in range(30000)])
    return {}
""",
    ),
    (
        "poisoned-modules-left",
        "no module left behind is imported by the next program",
        REPORTED,
        frozenset({"written to the user's site-packages"}),
        """
def entry():
    names = ("random", "json", "numpy", "sitecustomize", "usercustomize", "hostile_poison", "unittest")
    for folder in ("/work", "/tmp", "/dev/shm"):
        for name in names:
            with io.open(folder + "/" + name + ".py", "w") as file:
                file.write("POISON = True")
    site = os.path.expanduser("~/.local/lib/python%d.%d/site-packages" % sys.version_info[:2])
    made = did(os.makedirs, site) and did(lambda: io.open(site + "/hostile_poison.py", "w").close())
    return {"written to the user's site-packages": made}
""",
    ),
    (
        "rewrites-the-judge",
        "the judge's own source, and the interpreter's, can't be changed for the next program",
        REPORTED,
        _NONE,
        """
def entry():
    report = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path and did(lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND))):
            report[name] = True
    return {name: True for name in sorted(report)[:20]}
""",
    ),
)

_WITNESS = """
def entry():
    report, mine, pid = {}, set(), os.getpid()
    while pid > 0:
        mine.add(pid)
        pid = int(text("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()[1])
    for folder in ("/work", "/tmp", "/dev/shm", "/dev/mqueue"):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if os.path.realpath(os.path.join(folder, name)) != os.path.realpath(os.getcwd()):
                report["file " + repr(os.path.join(folder, name))] = True
    for kind in ("shm", "sem", "msg"):
        report["System V " + kind] = did(lambda: len(text("/proc/sysvipc/" + kind).splitlines()) > 1)
    for pid in set(pids()) - mine:
        try:
            status, owner = text("/proc/%d/status" % pid), uid_of(pid)
        except (OSError, IndexError):
            continue
        if owner == os.getuid() or owner >= 10000 or "State:\\tZ" in status:
            report["process %d" % pid] = True
    for path in ("tcp", "tcp6", "unix"):
        for line in text("/proc/net/" + path).splitlines()[1:]:
            if line.split()[3] == "0A" or "left behind" in line:
                report["socket " + line.split()[1] + line[-20:]] = True
    try:
        report["module"] = importlib.util.find_spec("hostile_poison") is not None
    except Exception:
        pass
    begun = time.monotonic()
    time.sleep(0.01)
    report["clock"] = not 0.005 < time.monotonic() - begun < 5
    report["builtins"] = sum([1, 2]) != 3 or sorted([2, 1]) != [1, 2] or len("ab") != 2 or not isinstance(1, int)
    report["memory"] = not did(lambda: bytearray(b"x") * (1 << 26))
    report["disk"] = not did(lambda: io.open("/tmp/mine", "wb").write(bytes(1 << 20))) or not did(os.unlink, "/tmp/mine")
    report["processes"] = not did(lambda: os.fork() or os._exit(0)) or not did(os.wait)
    return report
import importlib.util
"""

ATTACKS: tuple[Attack, ...] = tuple(
    Attack(
        kind="machine",
        name=name,
        claim=claim,
        ended=ended,
        allowed=allowed,
        code=_TOOLS + (_FILL if "fill(" in code else "") + (_DAEMON if "daemon(" in code else "") + code,
    )
    for table in (_NETWORK, _FILES, _LIMITS, _PROCESSES, _LEFT)
    for name, claim, ended, allowed, code in table
)

WITNESS = Attack(
    kind="machine",
    name="witness",
    claim="a program finds nothing of another, and everything that it needs",
    ended=REPORTED,
    code=_TOOLS + _WITNESS,
)
"""Run after each attack, on the same cell or its successor; also an attack of its own on a cell with a history."""
