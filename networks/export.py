"""The network as two graphs for other runtimes: one makes a reference, one parses photos under it."""

from torch import Tensor, nn

from utils.constants import IGNORE

from . import decoding
from .base import OneShotNetwork
from .prototypes import Prototypes, masked_average


class ReferenceGraph(nn.Module):
    """A labelled photo -> prototypes."""

    def __init__(self, network: OneShotNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, labels: Tensor, class_ids: Tensor) -> tuple[Tensor, Tensor]:
        """RGB image (3, H, W) float 0..255, labels (H', W') int64, class ids (K,) int64 -> (K, D) and (D,).

        The two are the prototypes of the classes, a row of zeros where a class has no pixel at feature size, and the
        prototype of the human foreground: every labelled pixel. 0 is the background, 255 is ignored.
        """
        features = self.network.encode(image[None])
        labels = self.network.shrink_labels(labels[None], features.fine.shape[-2:])
        masks = (labels == class_ids[:, None, None]).float()
        human = ((labels > 0) & (labels != IGNORE)).float()
        return masked_average(features.fine, masks[None])[0], masked_average(features.coarse, human[None])[0, 0]


class ParserGraph(nn.Module):
    """A photo and prototypes -> label map."""

    def __init__(self, network: OneShotNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, image: Tensor, prototypes: Tensor, foreground: Tensor, rivals: Tensor, min_score: Tensor, canvas: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """RGB image (3, h, w) float 0..255, prototypes (K, D) and (D,), scores below which a class is absent, (K,).

        `rivals` (R, D) are classes that the reference does not show but the network knows, or rows of zeros.
        `canvas`, uint8 (H, W), says by its shape at what size the label map is wanted: the photo's own.
        Gives the label map (H, W) int64, 0 for the background and 1..K for the classes in the order of their
        prototypes, the score of each class (K,), and where people are (H, W) bool. A class with an empty prototype is
        absent.
        """
        features = self.network.encode(image[None])
        support = Prototypes.of_classes(prototypes, foreground, self.network.way, rivals)
        maps = self.network.class_maps(features, support)[0]
        scores = decoding.class_scores([maps])
        scores = scores + 0 * (foreground.sum() + rivals.sum())  # keeps inputs that a network has no use for
        kept = (scores >= min_score) & (prototypes != 0).any(dim=1)
        height, width = canvas.shape
        labels, person = decoding.decode(maps, kept, (height, width))
        return labels, scores, person
