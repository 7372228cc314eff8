"""Fail unless NUMBER tests passed, by pytest's --junitxml: python .ci/counted.py FILE NUMBER."""

import sys
import xml.etree.ElementTree as ElementTree

path, wanted = sys.argv[1], int(sys.argv[2])
cases = list(ElementTree.parse(path).getroot().iter("testcase"))
passed = [case for case in cases if not len(case)]
print(f"{path}: {len(passed)} of {len(cases)} passed, {wanted} wanted")
for case in cases:
    for outcome in case:
        print(f"  {case.get('name')}: {outcome.tag}: {outcome.get('message')}")
sys.exit(len(passed) != wanted)
