"""Where in a picture a network sees a class.

NIN averages one map a class into that class's score (global average pooling), so the maps
themselves say which places spoke for it (paper, section 3.2; CAM, Zhou et al. 2016).

`explanation` is what users call, `heat` turns class maps into warmth at each pixel, `grad_cam`
makes maps for networks without such an average, by the `gradients` of a class's score;
`receptive_field` knows where the maps' places look. `figure` draws one explanation and
`contact_sheets` many, with `colours` and `lettering`, and `image_files` writes them.
"""

from .contact_sheets import MOST_ON_A_CONTACT_SHEET, contact_sheet
from .explanation import METHODS, Explanation, explain

__all__ = ["METHODS", "MOST_ON_A_CONTACT_SHEET", "Explanation", "contact_sheet", "explain"]
