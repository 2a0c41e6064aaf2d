"""Checked options, errors, files, JSON and progress: used by every other folder."""

from speechrnn.core.config import build, check_choice, options_from
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.core.jsonio import parse_json, read_json, read_rows, write_json
from speechrnn.core.progress import Bar, in_words

# find_device stands in speechrnn.core.device, which imports torch.
__all__ = [
    "Bar",
    "UserError",
    "atomic_write",
    "build",
    "check_choice",
    "in_words",
    "options_from",
    "parse_json",
    "read_json",
    "read_rows",
    "write_json",
]
