"""The checks that `survey.verify` runs: each one small function from a Look at the data to findings.

A new check is one function in one of the files of this folder, one line in its CHECKS and one line in `IDS`.
Thresholds are such that the classic data sets of the field pass; sources: the checks of secr's verify, and the faults
that reviewers of camera-trap studies name most often.
"""

from __future__ import annotations

from . import collars, effort, identity, layout, sample, space

IDS = {
    # animals and detections
    "no-animals": "nothing to estimate a density from",
    "few-animals": "fewer than 20 animals give wide intervals (Palmero et al. 2023: precise studies had more)",
    "no-recaptures": "detection cannot be told from density",
    "few-recaptures": "the relative standard error is about 1/sqrt(recaptures) (Efford & Boulanger 2019)",
    "no-spatial-recaptures": "sigma is learned only from animals detected at several detectors",
    "few-spatial-recaptures": "sigma rests on a handful of movements",
    "many-singletons": "animals split into two names inflate abundance (Johansson et al. 2020)",
    "moved-far": "a detection far from the others of an animal may be another animal",
    "counts-clumped": "visits in bouts are no independent counts",
    "removed-animals": "histories end where an animal died or was taken away",
    # identities
    "identified-left-out": "an animal that somebody knew is lost by a gap or a slip of the pen in its record",
    "names-alike": "an animal that cameras and collars or laboratories spell differently counts as two",
    "levels-alike": "a misspelled word is a level of its own, with a parameter of its own",
    "same-history": "one animal under two names, or two that travel together",
    "sex-missing": "many animals of unknown sex",
    "few-of-a-sex": "too few animals of one sex to compare",
    "sexes-move-differently": "one sigma for both sexes would be wrong",
    "sex-conflict": "one animal with two sexes is often two animals",
    "one-observer": "misidentification cannot be assessed with one observer",
    "cubs-included": "cubs are no independent animals",
    "one-flank-animals": "left and right flanks of one animal counted as two animals",
    # effort and time
    "effort-unknown": "missing effort is missing, not zero",
    "occasion-without-effort": "an occasion on which nothing could be seen",
    "detector-never-used": "a detector that was never set",
    "effort-outlier": "a date or a unit is probably wrong",
    "effort-beyond-time": "paired cameras counted twice, or wrong dates",
    "long-season": "a closed population needs a short season",
    "clock-problems": "records without a usable time",
    "no-failures-recorded": "some camera always fails; without failures effort is too high and density too low",
    "silent-camera": "a camera that stopped unnoticed is effort that was never made",
    "detector-covariate-missing": "a covariate with gaps stops a model",
    "detector-covariate-constant": "a covariate without variation has no effect to estimate",
    # collars
    "fixes-close-in-time": "fixes that are alike count as more evidence than they are",
    "fixes-far-away": "one slip of a coordinate decides how far animals seem to range",
    "collars-not-detected": "one animal under two names, or animals that live elsewhere",
    # places
    "crs-unknown": "local metres cannot be put on a map",
    "crs-does-not-fit": "coordinates swapped, or in another zone",
    "detectors-at-one-place": "paired cameras counted as independent detectors",
    "detector-far-away": "swapped coordinates, another zone, or another study area",
    "detectors-far-apart": "animals meet one detector only",
    "array-smaller-than-home-range": "the array says little about how far animals range",
    "positions-imprecise": "coordinates blurred for publication",
    # habitat mask
    "crs-differs": "mask and detectors are on different maps",
    "detection-outside-mask": "an animal where the mask says that none can live",
    "detector-outside-mask": "a detector where the mask says that no animal can live",
    "hole-under-detector": "habitat shifted against the detectors",
    "buffer-too-small": "density is overestimated when animals from outside are detected",
    "buffer-very-wide": "most of the mask was never surveyed",
    "mask-too-coarse": "the sum over cells is a poor integral",
    "mask-needlessly-fine": "time without gain",
    "mask-covariate-missing": "density cannot be computed there",
    "mask-covariate-constant": "a covariate without variation has no effect to estimate",
    "mask-extrapolation": "density is predicted beyond what was surveyed",
}

OF_THE_DATA = [*sample.CHECKS, *identity.CHECKS, *effort.CHECKS, *collars.CHECKS, *layout.CHECKS]
OF_THE_MASK = space.CHECKS
