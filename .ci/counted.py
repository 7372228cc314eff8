"""Fail unless so many tests passed, by pytest's --junitxml: python .ci/counted.py FILE NUMBER.

NUMBER is exact, or with a plus sign behind it the least that will do.
"""

import sys
import xml.etree.ElementTree as ElementTree

path, wanted = sys.argv[1], int(sys.argv[2].rstrip("+"))
at_least = sys.argv[2].endswith("+")
cases = list(ElementTree.parse(path).getroot().iter("testcase"))
passed = [case for case in cases if not len(case)]
print(f"{path}: {len(passed)} of {len(cases)} passed, {wanted} wanted")
for case in cases:
    for outcome in case:
        print(f"  {case.get('name')}: {outcome.tag}: {outcome.get('message')}")
sys.exit(len(passed) < wanted if at_least else len(passed) != wanted)
