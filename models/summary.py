"""A fit on one screen, as text and as HTML."""

from __future__ import annotations

import html

import numpy as np
import pandas as pd

from ..survey.display import some


def number(value: float, digits: int = 4) -> str:
    """A number as people read it: significant digits, no exponents where they can be helped."""
    if value is None or not np.isfinite(value):
        return "–" if value is None or np.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 10 ** (digits + 2):
        decimals = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
        return f"{value:,.{decimals}f}"
    return f"{value:.{digits - 1}e}"


def percent(value: float) -> str:
    """A share in percent, two digits when it is small; a dash when it is not known."""
    return "–" if not np.isfinite(value) else f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %"


def coefficient_table(fit) -> pd.DataFrame:
    """The coefficients as text."""
    frame = fit.coefficients.copy()
    for name in ("estimate", "se", "lower", "upper"):
        frame[name] = [number(v) for v in frame[name]]
    return frame


def variation_table(fit) -> pd.DataFrame:
    """Standard deviations of random effects as text."""
    frame = fit.variation()
    for name in ("estimate", "se", "lower", "upper"):
        frame[name] = [number(v) for v in frame[name]]
    frame["groups"] = ["–" if pd.isna(n) else f"{n:,}" for n in frame["groups"]]
    return frame


def estimate_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Derived estimates as text: quantity, estimate, se, RSE and interval."""
    return pd.DataFrame(
        {
            "quantity": frame["quantity"],
            "estimate": [number(v) for v in frame["estimate"]],
            "se": [number(v) for v in frame["se"]],
            "RSE": [percent(v) for v in frame["rse"]],
            "95 % interval": [
                f"{number(a)} – {number(b)}" for a, b in zip(frame["lower"], frame["upper"], strict=True)
            ],
            "unit": frame["unit"],
            "scope": frame["scope"],
        }
    )


def _heading(fit) -> list[str]:
    """The model and the data it was fitted to."""
    return [repr(fit.model), *("  " + line for line in fit.model.data_lines())]


def _numbers(fit) -> str:
    if fit.c_hat > 1.0:
        criteria = f"c-hat {fit.c_hat:.3f}, QAICc {fit.qaicc:.2f}"
    else:
        criteria = f"AIC {fit.aic:.2f}, AICc {fit.aicc:.2f}"
    return f"log-likelihood {fit.loglik:.3f}, {some(fit.n_parameters, 'parameter')}, {criteria}, {fit.method}"


def _align(frame: pd.DataFrame) -> str:
    """Columns aligned; numbers to the right, words to the left."""
    words = {"parameter", "term", "link", "quantity", "unit", "scope", "kind"}
    widths = {
        c: max(len(str(c)), *(len(str(v)) for v in frame[c])) if len(frame) else len(str(c)) for c in frame.columns
    }
    put = lambda c, v: str(v).ljust(widths[c]) if c in words else str(v).rjust(widths[c])  # noqa: E731
    lines = ["  ".join(put(c, c) for c in frame.columns)]
    lines += [
        "  ".join(put(c, v) for c, v in zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False)
    ]
    return "\n".join("  " + line.rstrip() for line in lines)


def fit_text(fit) -> str:
    """A fit on one screen."""
    parts = ["\n".join(_heading(fit)), "\n".join(map(str, fit.verdict.remarks)), _numbers(fit)]
    parts.append("Coefficients (link scale)\n" + _align(coefficient_table(fit)))
    if fit.random is not None:
        parts.append("Variation (link scale)\n" + _align(variation_table(fit)))
    parts.append("Estimates\n" + _align(estimate_table(fit.derive())))
    return "\n\n".join(parts)


def fit_html(fit) -> str:
    """A fit in a notebook."""
    escape = html.escape
    head = "<br>".join(escape(line) for line in _heading(fit))
    remarks = "".join(f"<li>{escape(str(r))}</li>" for r in fit.verdict.remarks)
    estimates = estimate_table(fit.derive()).to_html(index=False, border=0)
    coefficients = coefficient_table(fit).to_html(index=False, border=0)
    if fit.random is not None:
        coefficients += variation_table(fit).to_html(index=False, border=0)
    return (
        f"<div class='uncia-fit'><p><code>{head}</code></p><ul>{remarks}</ul>{estimates}"
        f"<details><summary>{escape(_numbers(fit))}</summary>{coefficients}</details></div>"
    )
