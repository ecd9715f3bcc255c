"""What we think happened: population models and their fits."""

if __name__ != "uncia.models":
    raise ImportError(
        f"this folder is the package uncia.models, not {__name__!r}: "
        "run `pip install -e .` once, then `from uncia import models`"
    )

from .counts.n_mixture import NMixture
from .counts.open_n_mixture import OpenNMixture
from .counts.removal import Removal
from .detection import DETECTION_FUNCTIONS, DetectionFunction
from .effects import covariate_effect, plot_covariate
from .fit import Fit
from .inference.averaging import average
from .inference.compare import compare
from .inference.nested import likelihood_ratio_test, score_test
from .inference.power import Effect, declining, effort_needed, power
from .inference.variance_components import variance_components
from .loo import compare_loo
from .marked.bilateral import BilateralCapture, flank_comparison
from .marked.capwire import Capwire, choose_rates
from .marked.closed import ClosedCapture
from .marked.contrast import contrast
from .marked.goodness import goodness_of_fit, m_array
from .marked.jackknife import jackknife
from .marked.known_fate import KnownFate, kaplan_meier
from .marked.live_dead import Barker, Burnham
from .marked.loglinear import LogLinear
from .marked.misidentified import MisidentifiedCapture, identification_curve
from .marked.multievent import Multievent
from .marked.multistate import Multistate
from .marked.open_population import JollySeber, Pradel
from .marked.overdispersion import median_c_hat
from .marked.robust_design import RobustDesign
from .marked.survival import CJS
from .occupancy.classified import ClassifiedOccupancy
from .occupancy.cross_validation import cross_validate
from .occupancy.dynamic import DynamicOccupancy
from .occupancy.false_positive import FalsePositiveOccupancy
from .occupancy.multi_scale import MultiMethodOccupancy
from .occupancy.multistate import MultistateOccupancy
from .occupancy.predict import predict_raster
from .occupancy.residuals import plot_residuals
from .occupancy.royle_nichols import RoyleNichols
from .occupancy.sign_survey import SignSurvey
from .occupancy.single_season import Occupancy
from .occupancy.time_to_detection import TimeToDetection
from .occupancy.two_species import TwoSpeciesOccupancy
from .open_scr.model import OpenSCR
from .open_scr.movement import Movement
from .penalty import choose_penalty
from .priors import Beta, Logistic, LogNormal, Normal
from .spatial.expected_counts import expected_counts
from .spatial.fit_checks.closure import closure_test
from .spatial.fit_checks.residuals import pattern as residual_pattern
from .spatial.least_cost import LeastCost
from .spatial.mark_resight import MarkResight
from .spatial.parks import unmatched_parks
from .spatial.scr import SCR
from .spatial.simulate import simulate_population
from .spatial.stratum_totals import stratum_totals
from .trends.annual import AnnualEstimates
from .trends.footprint import common_footprint
from .trends.trend import Trend, trend
from .trends.trim import TrimFit, trim
from .verdict import Outcome, Verdict

__all__ = [
    "CJS",
    "DETECTION_FUNCTIONS",
    "SCR",
    "AnnualEstimates",
    "Barker",
    "Beta",
    "BilateralCapture",
    "Burnham",
    "Capwire",
    "ClassifiedOccupancy",
    "ClosedCapture",
    "DetectionFunction",
    "DynamicOccupancy",
    "Effect",
    "FalsePositiveOccupancy",
    "Fit",
    "JollySeber",
    "KnownFate",
    "LeastCost",
    "LogLinear",
    "LogNormal",
    "Logistic",
    "MarkResight",
    "MisidentifiedCapture",
    "Movement",
    "MultiMethodOccupancy",
    "Multievent",
    "Multistate",
    "MultistateOccupancy",
    "NMixture",
    "Normal",
    "Occupancy",
    "OpenNMixture",
    "OpenSCR",
    "Outcome",
    "Pradel",
    "Removal",
    "RobustDesign",
    "RoyleNichols",
    "SignSurvey",
    "TimeToDetection",
    "Trend",
    "TrimFit",
    "TwoSpeciesOccupancy",
    "Verdict",
    "average",
    "choose_penalty",
    "choose_rates",
    "closure_test",
    "common_footprint",
    "compare",
    "compare_loo",
    "contrast",
    "covariate_effect",
    "cross_validate",
    "declining",
    "effort_needed",
    "expected_counts",
    "flank_comparison",
    "goodness_of_fit",
    "identification_curve",
    "jackknife",
    "kaplan_meier",
    "likelihood_ratio_test",
    "m_array",
    "median_c_hat",
    "plot_covariate",
    "plot_residuals",
    "power",
    "predict_raster",
    "residual_pattern",
    "score_test",
    "simulate_population",
    "stratum_totals",
    "trend",
    "trim",
    "unmatched_parks",
    "variance_components",
]
