"""The directive `ninc-command`, which shows a command's usage, options and examples.

It reads them from the parser of the command line itself, so that the page cannot lag behind.
"""

import os

from docutils import nodes
from docutils.parsers.rst import Directive

os.environ["COLUMNS"] = "76"  # how wide argparse lays usage out


def setup(app):
    app.add_directive("ninc-command", NincCommand)
    return {"parallel_read_safe": True}


class NincCommand(Directive):
    """`ninc-command:: train` is all that `ninc train --help` says."""

    required_arguments = 1

    def run(self):
        from ninc.cli import build_parser

        parser = build_parser().commands[self.arguments[0]]
        about, _, example = (parser.epilog or "").partition("examples:\n")
        usage = parser.format_usage().replace("\n       ", "\n").removeprefix("usage: ")
        content = [nodes.paragraph(text=f"{parser.description}."), literal(usage)]
        content += [paragraph(part) for part in about.strip().split("\n\n") if part]
        for group in parser._action_groups:
            content += options(parser, group)
        if example:
            lines = [line.strip() for line in example.splitlines()]
            content += [nodes.paragraph(text="Examples:"), literal("\n".join(lines), "sh")]
        return content


def paragraph(text):
    """Text with what stands between backticks as code."""
    result = nodes.paragraph()
    for index, part in enumerate(text.split("`")):
        result += nodes.literal(text=part) if index % 2 else nodes.Text(part)
    return result


def literal(text, language="text"):
    block = nodes.literal_block(text, text)
    block["language"] = language
    return block


def options(parser, group):
    """A heading and a definition list of a group's arguments, but for --help."""
    formatter = parser.formatter_class(parser.prog)
    entries = nodes.definition_list(classes=["settings"])
    for action in group._group_actions:
        if action.dest == "help":
            continue
        names = formatter._format_action_invocation(action)
        text = formatter._expand_help(action) if action.help else ""
        entries += nodes.definition_list_item(
            "",
            nodes.term("", "", nodes.literal(text=names)),
            nodes.definition("", paragraph(text)),
        )
    if not entries.children:
        return []
    title = group.title[:1].upper() + group.title[1:] + ":"
    return [nodes.paragraph("", "", nodes.strong(text=title)), entries]
