"""The kinds of data sets there are on disk, a file each; `locate` asks them whose a path is."""
