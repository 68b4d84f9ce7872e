"""Sources of images with masks: folders in the layouts that people have, and COCO's polygons."""
