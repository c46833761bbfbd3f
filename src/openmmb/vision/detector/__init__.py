"""Faster R-CNN with a ResNeXt-152 body: the picture encoder of Multi-Modal BlenderBot."""
