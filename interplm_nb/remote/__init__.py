"""Run folders in object stores: pushed, pulled, and read without fetching all of them."""
