"""Its features that kvision does not know: an angle; the pictures are as all others."""
