"""The kit for connector authors: a contract suite to inherit, and the bench it runs on.

What belongs here: rules that hold for every connector, and what is needed to try one. What never does: anything that
runs in production, and any connector. It needs pytest.

    from cxbridge.testing import ConnectorContract, Lab, Trial
"""

from cxbridge.testing.contract import ConnectorContract, rules
from cxbridge.testing.lab import Lab, LabClock, Trial
from cxbridge.testing.simulator import Simulated, simulated

__all__ = ["ConnectorContract", "Lab", "LabClock", "Simulated", "Trial", "rules", "simulated"]
