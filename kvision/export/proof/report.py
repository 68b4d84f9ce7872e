"""The answer of a check: a dict that prints as a table."""


class Report(dict):
    """A dict whose keys are attributes too, and which prints as a short table.

    Everything in it is a plain Python value, so `json.dumps(report)` works. When it has the key
    `passed`, the table ends in a line that begins with PASS or FAIL, and its `doubts` follow.

    Example:

    >>> report = Report(path="model.tflite", size_bytes=2048, passed=False, reasons=["Too large."])
    >>> report.size_bytes
    2048
    >>> print(report)
    path        model.tflite
    size_bytes  2,048
    FAIL: Too large.
    """

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(
                f"The report has no {name!r}. It has: {', '.join(map(str, self))}."
            ) from error

    def __setattr__(self, name, value):
        self[name] = value

    def __dir__(self):
        return sorted({*super().__dir__(), *map(str, self)})

    def __str__(self):
        shown = {
            key: value
            for key, value in self.items()
            if key not in ("passed", "reasons", "doubts") and value not in (None, [], {})
        }
        width = max(map(len, shown), default=0)
        lines = []
        for key, value in shown.items():
            first, *rest = _text(value).split("\n")
            lines.append(f"{key:<{width}}  {first}")
            lines.extend(f"{'':<{width}}  {line}" for line in rest)
        if "passed" in self:
            verdict = "PASS" if self["passed"] else "FAIL"
            reasons = " ".join(self.get("reasons") or [])
            lines.append(f"{verdict}: {reasons}" if reasons else verdict)
            lines += [f"But: {doubt}" for doubt in self.get("doubts") or []]
        return "\n".join(lines)


def _text(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        pairs = {key: item for key, item in value.items() if item is not None}
        return ", ".join(
            f"{key} ({_text(item)})" if isinstance(item, (list, tuple)) else f"{key} {_text(item)}"
            for key, item in pairs.items()
        )
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(item, dict) for item in value):
            return "\n".join(map(_text, value))
        shown = ", ".join(map(_text, value[:10]))
        return shown if len(value) <= 10 else f"{shown}, ... ({len(value)})"
    return str(value)
