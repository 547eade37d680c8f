# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Draws curves over the number of peers as an SVG: panels side by side, a logarithmic x axis. Knows
# lines, axes and text; nothing of what is measured.

WIDTH, HEIGHT = 300, 300  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 30, 96
COLOURS = ("#1f6fb4", "#d1542c", "#2f8f4e", "#8a4fa3")
DASHES = ("", "", "6 3", "6 3")


def _text(x, y, text, anchor="start", size=11, weight="normal"):
    return (
        '<text x="%.1f" y="%.1f" font-size="%d" font-weight="%s" text-anchor="%s">%s</text>'
        % (x, y, size, weight, anchor, text.replace("&", "&amp;").replace("<", "&lt;"))
    )


def _line(x1, y1, x2, y2, colour="#999", dash="", width=1.0):
    return (
        '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%.1f"'
        ' stroke-dasharray="%s"/>' % (x1, y1, x2, y2, colour, width, dash)
    )


def _range(values, mark):
    """(bottom, top, step) of the y axis."""
    if mark is None:
        low, high = 0, max(values)
    else:
        low, high = min([mark - 10, *values]), max([110, *values])
    step = 1
    while (high - low) / step > 8:
        step = step * 2 if str(step)[0] in "15" else step * 5 // 2
    return low // step * step, -(-high // step) * step, step


def _panel(x0, title, unit, lines, sizes, mark):
    bottom, top, step = _range([v for _, values in lines for v in values], mark)
    high = HEIGHT - TOP - BOTTOM
    wide = WIDTH - LEFT - RIGHT

    def x_of(i):
        return x0 + LEFT + wide * i / (len(sizes) - 1)

    def y_of(v):
        return TOP + high * (top - v) / (top - bottom)

    out = [_text(x0 + LEFT, 17, "%s, %s" % (title, unit), weight="bold", size=12)]
    v = bottom
    while v <= top:
        out.append(_line(x_of(0), y_of(v), x_of(len(sizes) - 1), y_of(v), "#ddd"))
        out.append(_text(x0 + LEFT - 5, y_of(v) + 4, "%d" % v, "end"))
        v += step
    for i, n in enumerate(sizes):
        out.append(_line(x_of(i), y_of(bottom), x_of(i), y_of(bottom) + 4, "#333"))
        out.append(_text(x_of(i), y_of(bottom) + 16, "{:,}".format(n), "middle"))
    out.append(_line(x_of(0), y_of(bottom), x_of(len(sizes) - 1), y_of(bottom), "#333"))
    if mark is not None:
        out.append(_line(x_of(0), y_of(mark), x_of(len(sizes) - 1), y_of(mark), "#333", "2 3"))
    for k, (text, values) in enumerate(lines):
        points = " ".join("%.1f,%.1f" % (x_of(i), y_of(v)) for i, v in enumerate(values))
        out.append(
            '<polyline points="%s" fill="none" stroke="%s" stroke-width="2"'
            ' stroke-dasharray="%s"/>' % (points, COLOURS[k], DASHES[k])
        )
        for i, v in enumerate(values):
            out.append(
                '<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (x_of(i), y_of(v), COLOURS[k])
            )
        y = HEIGHT - BOTTOM + 38 + 16 * k
        out.append(_line(x0 + LEFT, y - 4, x0 + LEFT + 24, y - 4, COLOURS[k], DASHES[k], 2))
        out.append(_text(x0 + LEFT + 30, y, text))
    return out


def draw(panels, sizes):
    """The SVG of panels (title, unit, [(text, values)], mark or None); a value for each size."""
    width = WIDTH * len(panels)
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d"'
        ' font-family="sans-serif" fill="#222">' % (width, HEIGHT, width, HEIGHT),
        '<rect width="%d" height="%d" fill="#fff"/>' % (width, HEIGHT),
    ]
    for i, (title, unit, lines, mark) in enumerate(panels):
        out += _panel(i * WIDTH, title, unit, lines, sizes, mark)
    return "\n".join(out) + "\n</svg>\n"
