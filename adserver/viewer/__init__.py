"""Viewer records and the engines that keep them."""
