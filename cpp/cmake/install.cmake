# cmake --install: headers, both libraries, and what find_package and pkg-config read. No absolute path is written, so
# the folder may be moved. The same files are in the wheel, in the package's own folder.
include(CMakePackageConfigHelpers)
if(SKBUILD)
  set(CMAKE_INSTALL_LIBDIR lib)
endif()
include(GNUInstallDirs)
set(gru_native_cxx_library stdc++)
if("c++" IN_LIST CMAKE_CXX_IMPLICIT_LINK_LIBRARIES)
  set(gru_native_cxx_library c++)
endif()
set(gru_native_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/gru_native)

install(DIRECTORY include/gru_native DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(TARGETS gru_native_static gru_native_shared EXPORT gru_nativeTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT gru_nativeTargets NAMESPACE gru_native:: DESTINATION ${gru_native_cmake_dir} COMPONENT development)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/gru_nativeConfig.cmake.in gru_nativeConfig.cmake
                              INSTALL_DESTINATION ${gru_native_cmake_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(gru_nativeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/gru_nativeConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/gru_nativeConfigVersion.cmake
        DESTINATION ${gru_native_cmake_dir} COMPONENT development)

file(RELATIVE_PATH gru_native_up ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" gru_native_up "${gru_native_up}")
file(RELATIVE_PATH gru_native_libdir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH gru_native_includedir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(${CMAKE_CURRENT_LIST_DIR}/gru_native.pc.in gru_native.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/gru_native.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)
