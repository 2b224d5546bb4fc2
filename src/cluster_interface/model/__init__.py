"""The words of the system as values: no input or output, no clock."""
