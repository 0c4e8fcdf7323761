"""What people see while a run is under way."""

from bench.console.progress import Progress
from bench.records.lines import SampleRecord


def test_what_stands_is_said_of_the_images_at_hand():
    """While 1 % of the first 100 images are robust, 47 of the next 50 may still stand: two figures of other images."""
    line = SampleRecord(
        id=1, label=0, clean=[0], adversarial=[1], margin=[1.0], distance=0.0, cost={}, seconds=0.0, environment="e"
    )
    with Progress(quiet=False) as progress:
        progress.started([line] * 100, 250)
        progress.working(0.5, 47, 50)
        (task,) = progress.bar.tasks
    assert task.fields["images"] == "100/250 images; 47 of the 50 at hand still stand"
