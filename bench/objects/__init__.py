"""Components given as objects in Python: what they are, what they compute, and what a record keeps of them."""
