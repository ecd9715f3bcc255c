"""The likelihood of one session: integrals over the mask, their exact derivatives, nothing of formulas or fits."""
