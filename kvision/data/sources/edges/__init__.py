"""Pictures beside the edges that people drew in them."""
