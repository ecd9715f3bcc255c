"""What was done and what was seen: survey data with effort."""

if __name__ != "uncia.survey":
    raise ImportError(
        f"this folder is the package uncia.survey, not {__name__!r}: "
        "run `pip install -e .` once, then `from uncia import survey`"
    )

from .assemble import assemble, lay_out
from .assemble_sites import detection_history
from .candidates import Candidates, with_candidates
from .captures import CaptureHistory
from .cells import Cells
from .classified import candidates_of
from .crs import suggest_utm, to_degrees, to_metres
from .detections import DetectionHistory
from .detectors import Detectors
from .encounters import EncounterHistory, read_inp
from .errors import SurveyError, SurveyWarning
from .fieldwork import fieldwork
from .flanks import flanks, seen_before
from .habitat import HabitatMask
from .identities import IdentityRegistry, registry_changes
from .independence import Independence
from .ledger import Ledger
from .live_dead import LiveDeadHistory, read_live_dead_inp
from .monitored import MonitoredAnimals
from .parks import JoinedParks, join_parks
from .patrols import Patrols, read_patrols
from .readers.animal_tables import read_encounters, read_fates, read_histories
from .readers.camtrap_dp import read_camtrap_dp, tables_from_camtrap_dp
from .readers.field_tables import read_field_tables, tables_from_field
from .readers.inp_tables import read_fates_inp, read_visits_inp
from .readers.live_dead_tables import read_live_dead
from .readers.mask_tables import read_mask
from .readers.sample_tables import read_samples
from .readers.secr_text import read_secr
from .readers.site_tables import read_matrix, read_visits
from .readers.wildlife_insights import read_wildlife_insights, tables_from_wildlife_insights
from .samples import SampleCounts
from .scats import read_scats, scat_search
from .search import read_search, searched_areas, transects
from .sightings import Sightings, split_marking
from .tables import SurveyTables
from .telemetry import Telemetry, read_telemetry
from .together import Together, together
from .verify import Findings, verify
from .writers.camtrap_dp import write_camtrap_dp
from .writers.secr_text import write_secr

__all__ = [
    "Candidates",
    "CaptureHistory",
    "Cells",
    "DetectionHistory",
    "Detectors",
    "EncounterHistory",
    "Findings",
    "HabitatMask",
    "IdentityRegistry",
    "Independence",
    "JoinedParks",
    "Ledger",
    "LiveDeadHistory",
    "MonitoredAnimals",
    "Patrols",
    "SampleCounts",
    "Sightings",
    "SurveyError",
    "SurveyTables",
    "SurveyWarning",
    "Telemetry",
    "Together",
    "assemble",
    "candidates_of",
    "detection_history",
    "fieldwork",
    "flanks",
    "join_parks",
    "lay_out",
    "read_camtrap_dp",
    "read_encounters",
    "read_fates",
    "read_fates_inp",
    "read_field_tables",
    "read_histories",
    "read_inp",
    "read_live_dead",
    "read_live_dead_inp",
    "read_mask",
    "read_matrix",
    "read_patrols",
    "read_samples",
    "read_scats",
    "read_search",
    "read_secr",
    "read_telemetry",
    "read_visits",
    "read_visits_inp",
    "read_wildlife_insights",
    "registry_changes",
    "scat_search",
    "searched_areas",
    "seen_before",
    "split_marking",
    "suggest_utm",
    "tables_from_camtrap_dp",
    "tables_from_field",
    "tables_from_wildlife_insights",
    "to_degrees",
    "to_metres",
    "together",
    "transects",
    "verify",
    "with_candidates",
    "write_camtrap_dp",
    "write_secr",
]
