"""The picture in README.md: the fit of the example survey. Run from the root: python examples/picture.py"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from uncia import models, survey

HESHUN = "examples/heshun/"
captures = survey.read_camtrap_dp(
    HESHUN + "camtrap-dp",
    species="Panthera pardus",
    identities=HESHUN + "camtrap-dp/identities.csv",
    failures=HESHUN + "camtrap-dp/failures.csv",
    timezone="Asia/Shanghai",
    crs="EPSG:32649",
)
mask = survey.HabitatMask.around(captures.detectors, buffer=15_000, spacing=1_000)
mask = mask.with_covariate("ruggedness", HESHUN + "ruggedness.tif")
fit = models.SCR(captures, mask, D="~ ruggedness", detection="hazard half-normal").fit()
figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", width_ratios=[1.15, 1])
fit.plot_density(axes[0])
fit.plot_detection(axes[1])
figure.savefig(HESHUN + "density.png", dpi=110, metadata={"Software": None})
