"""Changes of training examples, in which what is known of a picture moves with its pixels."""
