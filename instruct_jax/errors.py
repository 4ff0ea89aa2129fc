"""What a user did wrong, where, and how to put it right: the one exception that ends a program without a traceback."""


class InputError(Exception):
    """Bad input: a path, a binding, a row or a file that the user can mend.

    The message is one line a person can act on: what was found, where, what was expected, and the fix.
    `instruct_jax.program` prints it and exits with status 2; library users catch it like any exception.
    """
