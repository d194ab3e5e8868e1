"""Say, before anything is installed, what this Python lacks and what to type.

Written so that even Python 2.7 can read it: it is run by whatever interpreter `make` was given.
"""

import sys

FLOOR = (3, 11)


def problem(version, has_venv, executable):
    """What is wrong with an interpreter, or None.

    Args:
        version: its (major, minor).
        has_venv: whether it can make a virtual environment with pip in it.
        executable: its path, for the message.
    """
    if tuple(version) < FLOOR:
        return (
            "Python is too old: %s is %d.%d, and this book needs 3.11 or newer.\n"
            "Install one from https://www.python.org/downloads/ or your package manager, then name it:\n"
            "    make book PYTHON=python3.12"
        ) % (executable, version[0], version[1])
    if not has_venv:
        return (
            "Python cannot make virtual environments: %s has no venv with pip (module ensurepip).\n"
            "On Debian and Ubuntu that is a package of its own; install it, then run make again:\n"
            "    sudo apt install python%d.%d-venv"
        ) % (executable, version[0], version[1])
    return None


def has_venv():
    """Whether `python -m venv` will work here; Debian ships Python without ensurepip."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    found = problem(sys.version_info[:2], has_venv(), sys.executable)
    if found:
        sys.exit(found)
