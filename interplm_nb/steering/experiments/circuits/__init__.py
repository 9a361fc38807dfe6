"""Small circuits: the features of several layers that carry one prediction, and their edges."""
