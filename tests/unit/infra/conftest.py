from tests.signals import interruptible as interruptible
from tests.signals import uninterruptible as uninterruptible
