"""Networks of convolutions: thinner ones, on smaller images, that teach them.

`channels` finds what can be halved, `stencils` what a kernel is on smaller images, and
`fields` what an output sees of an image; `views` makes the network of one level of
these, `chains` says what its weights live on, `levels` ties the levels together, and
`plan` says which of them pay.
"""
