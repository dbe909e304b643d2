"""Where in a picture a network sees a class.

NIN averages one map a class into that class's score (global average pooling), so the maps
themselves say which places spoke for it: the class maps (paper, section 3.2; CAM, Zhou et al. 2016).

`explanation` is what users call, `heat` turns class maps into warmth at each pixel,
`receptive_field` knows where the maps' places look; `figure` draws it all, with `colours` and
`lettering`, and `image_files` writes it.
"""

from .explanation import METHODS, Explanation, explain

__all__ = ["METHODS", "Explanation", "explain"]
