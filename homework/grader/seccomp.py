"""A seccomp filter for bubblewrap's --seccomp: what no notebook needs is refused by the kernel.

Refused: sockets of every kind (a network namespace does not hold back vsock), memory that no limit counts (memfd,
System V shared memory, shared mappings without a file), new namespaces and mounts, tracing other processes, leaving
the core, writing out every program's files (sync, for which neighbours wait), and the large interfaces in
which kernels have had their holes. Calls newer than this list are not there.
"""

import platform
import struct

ALLOW, REFUSE, NOT_THERE, KILL = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38, 0x80000000  # EPERM, ENOSYS
NEW_NAMESPACES = 0x7E020000  # the CLONE_NEW… bits of clone's flags
SHARED_NOTHING = 0x21  # of mmap: MAP_SHARED | MAP_ANONYMOUS
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06  # classic BPF

# name: number on x86_64, number on aarch64 (None: it has none)
SYSCALLS: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "ptrace": (101, 117),
    "syslog": (103, 116),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "sync": (162, 81),
    "syncfs": (306, 267),
    "acct": (163, 89),
    "mount": (165, 40),
    "umount2": (166, 39),
    "swapon": (167, 224),
    "reboot": (169, 142),
    "quotactl": (179, 60),
    "sched_setaffinity": (203, 122),
    "io_setup": (206, 0),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "vmsplice": (278, 75),
    "move_pages": (279, 239),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "memfd_create": (319, 279),
    "kexec_file_load": (320, 294),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442),
    "memfd_secret": (447, 447),
}
# column above, AUDIT_ARCH, clone, mmap
MACHINES = {"x86_64": (0, 0xC000003E, 56, 9), "aarch64": (1, 0xC00000B7, 220, 222)}
CLONE3, NEWEST = 435, 462  # since 424 the machines share their numbers


def program(machine: str | None = None) -> bytes:
    """The filter as the kernel reads it; raises KeyError for a machine whose numbers are not listed above."""
    column, architecture, clone, mmap = MACHINES[machine or platform.machine()]
    refused = [numbers[column] for numbers in SYSCALLS.values() if numbers[column] is not None]
    lines: list[tuple[int, int, int, int]] = [
        (LOAD, 0, 0, 4),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, 0),
        (AT_LEAST, 0, 1, 0x40000000),  # x32's numbers
        (RETURN, 0, 0, REFUSE),
        (AT_LEAST, 0, 1, NEWEST + 1),
        (RETURN, 0, 0, NOT_THERE),
        (EQUAL, 0, 1, CLONE3),  # its flags are out of a filter's reach; libc then uses clone
        (RETURN, 0, 0, NOT_THERE),
    ]
    for number in refused:
        lines += [(EQUAL, 0, 1, number or 0), (RETURN, 0, 0, REFUSE)]
    lines += [
        (EQUAL, 0, 4, mmap),
        (LOAD, 0, 0, 40),  # its fourth argument
        (AND, 0, 0, SHARED_NOTHING),
        (EQUAL, 0, 4, SHARED_NOTHING),
        (RETURN, 0, 0, REFUSE),
        (EQUAL, 0, 2, clone),
        (LOAD, 0, 0, 16),  # its first argument
        (ANY_BIT, 1, 0, NEW_NAMESPACES),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
