"""All results of a run as one annotation project: COCO, labelme, CVAT, or label maps with a list of names."""
