"""Every reader and its interpreter under the conformance kit."""

from __future__ import annotations

from tests.collectors.conformance import collector_conformance
from tests.collectors.worlds import (
    CsvFolder,
    LogWithoutIds,
    LogWorld,
    MarkedFolder,
    RenamedFolder,
    RestWorld,
    X12Folder,
    XmlFolder,
)

test_folder_of_stable_files = collector_conformance(CsvFolder)
test_folder_of_renamed_files = collector_conformance(RenamedFolder)
test_folder_of_marked_files = collector_conformance(MarkedFolder)
test_folder_of_x12 = collector_conformance(X12Folder)
test_folder_of_xml = collector_conformance(XmlFolder)
test_log_with_ids = collector_conformance(LogWorld)
test_log_without_ids = collector_conformance(LogWithoutIds)
test_polled_service = collector_conformance(RestWorld)
