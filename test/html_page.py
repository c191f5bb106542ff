"""Reads the HTML pages that the software writes."""

from html.parser import HTMLParser


class HtmlPage(HTMLParser):
    """Tags and texts of a file; fails where tags, but for those in ``void``, do not close."""

    def __init__(self, path, void):
        super().__init__()
        self.void = void
        self.open, self.tags, self.texts = [], [], []
        self.source = path.read_text(encoding='utf-8')
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.void:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
