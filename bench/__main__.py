"""`python -m bench`, the same as the command `bench`."""

from purebench import main

main()
