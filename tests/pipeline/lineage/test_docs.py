import re
from pathlib import Path


def test_the_examples_of_the_page_run():
    text = Path(__file__).parents[3].joinpath("docs", "lineage.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", text, re.S)
    assert examples
    for example in examples:
        exec(compile(example, "docs/lineage.md", "exec"), {})
