"""The page of `kerastl try`: a server on this machine, and LiteRT.js, fetched once through npm.

May use: `inference`, `models.saving`, `data`. `page/` is what a browser loads.
"""
