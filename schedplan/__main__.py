"""`python -m schedplan` is `schedplan`."""

from schedplan.cli import main

main()
