"""`python -m instruct_jax`: the same door as the console script `instruct-jax`."""

import sys

from instruct_jax.program import main

sys.exit(main())
