"""Where the splits of a data set lie, as the tools that label and export images write them."""
