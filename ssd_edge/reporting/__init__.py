"""Pages, charts and grids of images for reports; knows no type of another room.

- ``page``: one HTML page that needs nothing else: ``write_page(path, title=..., sections=[...])`` (``page_text`` where
  the text is wanted), its pieces ``section``, ``card``, ``table``, ``figure``, ``embedded_image``, ``listing`` return
  HTML with everything from outside escaped.
- ``chart``: a ``Panel`` of ``Series`` is a chart's content; ``chart_svg(panel)`` draws it for a page,
  ``save_charts(path, title, panels)`` draws several as one PNG, from the same layout.
- ``images``: ``CaptionedImage``; ``image_grid(images)`` for a page, ``save_images(path, title,
  rows)`` as one PNG.
"""
