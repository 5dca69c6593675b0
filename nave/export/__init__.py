"""Results of a run as files of other tools: COCO, FiftyOne, labelme."""
