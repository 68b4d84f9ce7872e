"""The forms that a task has on a phone: what a file gives in place of the outputs of its model."""
