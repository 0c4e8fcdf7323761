"""The publications behind the purifiers, as leaderboards show them; each is also a reference in the purifier's docstring."""

from bench.registry.entry import Citation

PURSAMERE = Citation(
    title="PurSAMERE: Reliable Adversarial Purification via Sharpness-Aware Minimization of Expected Reconstruction Error",
    authors="Hoang, Krumscheid, Rauhut, Tempone",
    year=2026,
    url="https://arxiv.org/abs/2602.06269",
)
TWEEDIE = Citation(
    title="Tweedie's Formula and Selection Bias",
    authors="Efron",
    year=2011,
    url="https://doi.org/10.1198/jasa.2011.tm11181",
    venue="Journal of the American Statistical Association",
)
DENOISED = Citation(
    title="(Certified!!) Adversarial Robustness for Free!",
    authors="Carlini, Tramer, Dvijotham, Rice, Sun, Kolter",
    year=2023,
    url="https://arxiv.org/abs/2206.10550",
    venue="ICLR 2023",
    code="https://github.com/ethz-spylab/diffusion_denoised_smoothing",
)
DIFFPURE = Citation(
    title="Diffusion Models for Adversarial Purification",
    authors="Nie, Guo, Huang, Xiao, Vahdat, Anandkumar",
    year=2022,
    url="https://arxiv.org/abs/2205.07460",
    venue="ICML 2022",
    code="https://github.com/NVlabs/DiffPure",
)
LIKELIHOOD = Citation(
    title="Robust Classification via a Single Diffusion Model",
    authors="Chen, Dong, Wang, Yang, Duan, Su, Zhu",
    year=2024,
    url="https://arxiv.org/abs/2305.15241",
    venue="ICML 2024",
    code="https://github.com/huanranchen/DiffusionClassifier",
)
SMOOTHING = Citation(
    title="Certified Adversarial Robustness via Randomized Smoothing",
    authors="Cohen, Rosenfeld, Kolter",
    year=2019,
    url="https://arxiv.org/abs/1902.02918",
    venue="ICML 2019",
    code="https://github.com/locuslab/smoothing",
)
GUIDED = Citation(
    title="Guided Diffusion Model for Adversarial Purification",
    authors="Wang, Lyu, Lin, Dai, Fu",
    year=2022,
    url="https://arxiv.org/abs/2205.14969",
    code="https://github.com/JinyiW/GuidedDiffusionPur",
)
SCOREOPT = Citation(
    title="Enhancing Adversarial Robustness via Score-Based Optimization",
    authors="Zhang, Luo, Zhang",
    year=2023,
    url="https://arxiv.org/abs/2307.04333",
    venue="NeurIPS 2023",
    code="https://github.com/zzzhangboya/ScoreOpt",
)
ADP = Citation(
    title="Adversarial Purification with Score-based Generative Models",
    authors="Yoon, Hwang, Lee",
    year=2021,
    url="https://arxiv.org/abs/2106.06041",
    venue="ICML 2021",
    code="https://github.com/jmyoon1/adp",
)
TRANSFORMS = Citation(
    title="Countering Adversarial Images using Input Transformations",
    authors="Guo, Rana, Cisse, van der Maaten",
    year=2018,
    url="https://arxiv.org/abs/1711.00117",
    venue="ICLR 2018",
    code="https://github.com/facebookarchive/adversarial_image_defenses",
)
SOFT_JPEG = Citation(
    title="JPEG-resistant Adversarial Images",
    authors="Shin, Song",
    year=2017,
    url="https://machine-learning-and-security.github.io/papers/mlsec17_paper_54.pdf",
    venue="NIPS 2017 workshop on machine learning and computer security",
)
SQUEEZING = Citation(
    title="Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks",
    authors="Xu, Evans, Qi",
    year=2018,
    url="https://arxiv.org/abs/1704.01155",
    venue="NDSS 2018",
    code="https://github.com/mzweilin/EvadeML-Zoo",
)
