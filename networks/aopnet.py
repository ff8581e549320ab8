"""AOPNet, All-pairs One-shot Human Parsing: this project's own network (docs/method.md, steps 32 to 43)."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .backbones import Encoder
from .backbones.timm_conv import LOW_STRIDE
from .base import Features, LabelMaps, Logits, OneShotNetwork
from .decoding import Maps, class_scores, decode
from .layers import at_least_float32, labels_on_corners, pad_to_multiple, rounded_up
from .matching import Match, Matcher
from .prototypes import Prototypes, class_masks, masked_average
from .pyramid_decoder import PyramidDecoder
from .refining import enlarge_under_guidance
from .settings import WAVES

FREQUENCY = 6.0
PLACE_WEIGHT = 0.5  # of these features beside the learned ones
LEAST_LOGIT = -12.0  # what lies below is as good as never, and would leak across borders
MIN_PRESENCE = 0.25  # below it a class counts as absent; chosen on the validation list of CCP-OS
SUPPORTS = (1, 1, 3)  # photos that make up each of the supports of a query in training; the last number is a mean
BLENDED = 0.5  # how many of the supports know the bank in training
BANK_SHARE = 0.75  # of the bank in a prototype that is blended with it; chosen on the validation list of CCP-OS


class PairOutputs(NamedTuple):
    """What a batch of B photos gives, S supports for each: all that the losses need, at feature size."""

    match: Match
    coarse: Tensor  # (B, 2, h, w)
    body: Tensor  # (B, 2, h, w)
    closed: Tensor  # (B, slots, h, w)
    label: Tensor  # (B, h, w)
    shown: Tensor  # (B, S, slots) bool: what each support holds
    rivals: Tensor  # (B, S, slots) bool: what competes with it as background
    present: Tensor  # (B, slots) bool: what each photo holds
    prototypes: Tensor  # (B, slots, D) of each photo


class AOPNet(OneShotNetwork):
    """Features in a metric space where the prototypes of a support find their classes in any other photo.

    The metric feature joins a learned one with random Fourier features of the place on the body (height, and distance
    from the axis, in body heights), which a linear head tells. Further linear heads tell the foreground, and the
    classes of the training, which only helps to learn. `coarse` of its `Features` holds the foreground's logits.

    `pseudo_classes` are class slots of the training beyond `num_slots`, for parts of a person that no base class names.
    """

    method = "aop"
    refine = True
    looks_closer = True
    takes_rivals = True
    bank_share = BANK_SHARE
    min_presence: float = MIN_PRESENCE
    waves: Tensor
    phase: Tensor

    def __init__(
        self,
        num_slots: int,
        encoder: str,
        channels: int = 128,
        pseudo_classes: int = 0,
        momentum: float = 0.001,
    ) -> None:
        super().__init__(num_slots, "kway", Encoder(encoder, deep=True))
        self.slots = num_slots + pseudo_classes
        self.decoder = PyramidDecoder(tuple(self.encoder.channels.values()), channels)
        self.fine_space = nn.Conv2d(channels, channels - WAVES, 1)
        self.coarse = nn.Conv2d(channels, 2, 1)
        self.body = nn.Conv2d(channels, 2, 1)
        self.closed = nn.Conv2d(channels, self.slots, 1)
        self.matcher = Matcher(channels)
        generator = torch.Generator().manual_seed(1)
        self.register_buffer("waves", FREQUENCY * torch.randn(WAVES, 2, generator=generator))
        self.register_buffer("phase", 2 * torch.pi * torch.rand(WAVES, generator=generator))
        self._add_bank(channels, momentum)

    def bank_in_use(self, epoch: float) -> bool:
        """From the start: in training half of the supports know the bank."""
        return True

    def blend_with_bank(self, prototypes: Prototypes, class_id: Tensor | None = None) -> Prototypes:
        """Prototypes over all slots: base classes blended with the bank, those that are not shown as rivals."""
        classes, rivals = self._with_bank(prototypes.classes, prototypes.present)
        return prototypes._replace(classes=classes, rivals=torch.where(rivals[..., None], self.bank.rows, 0))

    def _bank_rows(self, like: Tensor) -> Tensor:
        """The bank (N, D) over as many slots as prototypes (..., N, D) have; pseudo-classes have empty rows."""
        return F.pad(self.bank.rows, (0, 0, 0, like.shape[-2] - len(self.bank.rows))).to(like.dtype)

    def _with_bank(self, classes: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Prototypes (..., N, D) of the slots, blended with the bank where both hold the class (docs/method.md, step
        40), and which of the bank's classes (..., N) are not present."""
        rows = self._bank_rows(classes)
        known = (rows != 0).any(dim=-1)
        blended = torch.where((known & present)[..., None], classes.lerp(rows, self.bank_share), classes)
        return blended, known & ~present

    def shrink_labels(self, labels: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
        """Label maps (B, H, W) at the pixels (B, *size) on which the feature's own lie when logits are enlarged."""
        return labels_on_corners(labels, size)

    def embed(self, images: Tensor) -> Features:
        """Normalised images (B, 3, H, W) -> features at stride 4."""
        features, place = self._spaces(self._feature(images))
        return features._replace(place=place)

    def coarse_logits(self, query: Features, prototypes: Prototypes) -> Tensor:
        """The foreground's logits (B, 2, h, w), which no prototype changes."""
        return query.coarse

    def _feature(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) -> the decoder's feature (B, channels, h, w)."""
        # Where a size is odd, the padding of the encoder itself moves to both sides: its features would shift.
        padded = pad_to_multiple(images, max(self.encoder.channels), mode="replicate")
        feature = self.decoder(*self.encoder.features(padded).values())
        height, width = rounded_up(images.shape[-2:], LOW_STRIDE)
        return feature[..., :height, :width].contiguous(memory_format=torch.channels_last)

    def _spaces(self, feature: Tensor) -> tuple[Features, Tensor]:
        """Metric features and foreground logits, and the place on the body (B, 2, h, w), from the decoder's feature."""
        place = self.body(feature)
        with torch.autocast(feature.device.type, enabled=False):  # in half precision the phases would be far off
            phases = F.linear(at_least_float32(place.detach()).permute(0, 2, 3, 1), self.waves, self.phase)
        waves = torch.cos(phases).permute(0, 3, 1, 2) * (PLACE_WEIGHT * (2 / WAVES) ** 0.5)
        learned = F.normalize(at_least_float32(self.fine_space(feature)), dim=1)
        return Features(self.coarse(feature), torch.cat([learned, waves], dim=1)), place

    def closed_logits(self, images: Tensor) -> Tensor:
        """RGB images (B, 3, H, W) -> logits (B, slots, h, w) of the classes of the training, without a support."""
        return at_least_float32(self.closed(self._feature(self.encoder.normalize(images))))

    def forward(self, batch: Mapping[str, Tensor], epoch: int) -> PairOutputs:
        """A batch of photos: RGB `image` (B, 3, H, W) and `label` (B, H, W) of slots, pseudo-classes among them."""
        feature = self._feature(self.encoder.normalize(batch["image"]))
        features, place = self._spaces(feature)
        label = self.shrink_labels(batch["label"], feature.shape[-2:])
        masks = class_masks(label, self.slots)
        masks[:, 0] = 0
        prototypes, present = masked_average(features.fine, masks), masks.flatten(2).any(dim=2)
        self.bank.remember(prototypes[:, : self.num_slots], present[:, : self.num_slots], dynamic=True)
        supports, shown = _mixed(prototypes, present, _support_sets(len(label)).to(label.device))
        supports, rivals = self._some_with_bank(supports, shown)
        human = features.coarse.detach().softmax(dim=1)[:, 1:]
        match = self.matcher(features.fine, human, supports[:, :, 1:], (shown | rivals)[:, :, 1:], rivals[:, :, 1:])
        return PairOutputs(
            match, features.coarse, place, self.closed(feature), label, shown, rivals, present, prototypes
        )

    def _some_with_bank(self, supports: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
        """The supports (B, S, slots, D), some of them blended with the bank and with its other classes as rivals."""
        blended, rivals = self._with_bank(supports, shown)
        chosen = (torch.rand(supports.shape[1]) < BLENDED).to(supports.device)[:, None]
        rivals = rivals & chosen
        blended = torch.where(rivals[..., None], self._bank_rows(supports), blended)
        return torch.where(chosen[..., None], blended, supports), rivals

    def match(self, query: Features, prototypes: Prototypes) -> Match:
        """A query under each of S prototypes (or of a batch of one): logits (S, K, h, w), presence (S, K)."""
        human = at_least_float32(query.coarse).softmax(dim=1)[:, 1:]
        classes, present = prototypes.classes[:, 1:], prototypes.present[:, 1:]
        count, rivals = classes.shape[1], None
        if prototypes.rivals is not None:
            others = (prototypes.rivals != 0).any(dim=2)
            classes = torch.cat([classes, prototypes.rivals], dim=1)
            rivals = torch.cat([torch.zeros_like(present), others], dim=1)[None]
            present = torch.cat([present, others], dim=1)
        matched = self.matcher(query.fine, human, classes[None], present[None], rivals)
        presence = matched.presence[0, :, :count]
        if prototypes.presence_bias is not None:
            presence = presence + prototypes.presence_bias[:, 1:]
        return Match(matched.logits[0, :, : 1 + count], presence)

    def logits(self, query: Features, prototypes: Prototypes, with_agm: bool = False) -> Logits:
        """Logits at feature size for a query (batch 1) under one or several prototypes; there is no AGM."""
        return Logits(self.match(query, prototypes).logits, None, query.coarse)

    def encode(self, images: Tensor) -> Features:
        """RGB images (B, 3, H, W), values 0..255 of any dtype -> features at stride 4, with the images as guide."""
        features = self.embed(self.encoder.normalize(images))
        return features._replace(guide=images.to(features.fine.dtype) / 255) if self.refine else features

    def class_maps(self, query: Features, prototypes: Prototypes) -> list[Maps]:
        photos = [query.of(photo) for photo in range(len(query.fine))]
        return [self._maps(photo, self.match(photo, prototypes), 0) for photo in photos]

    def predict(
        self, query: Features, prototypes: Prototypes, size: tuple[int, int], with_agm: bool = False
    ) -> LabelMaps:
        """As `class_maps` and `decode` would, for a query (batch 1) under a batch of prototypes over all slots."""
        match = self.match(query, prototypes)
        labels, human = [], query.coarse
        for support, present in enumerate(prototypes.present):
            slots = F.pad(present[1:].nonzero()[:, 0] + 1, (1, 0))
            shown = Match(match.logits[:, slots], match.presence[:, slots[1:] - 1])
            maps = self._maps(query, shown, support)
            kept = class_scores([maps]) >= self.min_presence
            label, human = decode(maps, kept, size)
            labels.append(slots[label])
        return LabelMaps(torch.stack(labels), None, human.expand(len(labels), -1, -1))

    def _maps(self, query: Features, match: Match, support: int) -> Maps:
        """The maps of a query (batch 1) under one support of the match, enlarged to the guide where there is one."""
        maps = torch.cat([match.logits[support].clamp(min=LEAST_LOGIT), query.coarse[0]])
        if query.guide is not None:
            maps = enlarge_under_guidance(at_least_float32(maps)[None], at_least_float32(query.guide))[0]
        return Maps(maps[:-2], maps[-2:], match.presence[support].sigmoid())


def _support_sets(batch: int) -> Tensor:
    """Which photos make up each support of each query: (B, S, B) of 0 and 1; a photo never supports itself."""
    sets = torch.zeros(batch, len(SUPPORTS), batch)
    order, taken = torch.randperm(batch - 1) + 1, 0
    for s, count in enumerate(SUPPORTS):
        chosen = order[torch.arange(taken, taken + count) % (batch - 1)]
        taken += count
        for offset in chosen.tolist():
            sets[torch.arange(batch), s, (torch.arange(batch) + offset) % batch] = 1
    return sets


def _mixed(prototypes: Tensor, present: Tensor, sets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean prototypes (B, S, N, D) of the photos in each set that show the class, and which classes they show."""
    weights = torch.einsum("bsj,jn->bsnj", sets, present.to(sets.dtype))
    shown = weights.sum(dim=-1)
    with torch.autocast(prototypes.device.type, enabled=False):  # as `masked_average` computes them
        mixed = torch.einsum("bsnj,jnd->bsnd", weights.to(prototypes.dtype), prototypes)
    mixed = mixed / shown.clamp(min=1)[..., None]
    return mixed, shown > 0
