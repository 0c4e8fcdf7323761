"""`python -m bench`: the same command as `bench`."""

from purebench import main

main()
