// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef DRIVER_SPI_MASTER_H
#define DRIVER_SPI_MASTER_H

typedef int spi_host_device_t;

#endif
