"""The one exception that users see."""


class UserError(Exception):
    """Bad input, described in one plain sentence that names the file or key and says what to do.

    The command line prints it without a traceback and exits with status 2. Anything else that
    escapes is a bug of ours and keeps its traceback.

    >>> raise UserError("talks/ holds no audio; give a folder with recordings.")
    Traceback (most recent call last):
    ...
    speechrnn.core.errors.UserError: talks/ holds no audio; give a folder with recordings.
    """
